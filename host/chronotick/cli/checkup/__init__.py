"""What `chronotick doctor` looks at, by section: installation, machine, network, host."""
