import sys

from chronotick.cli.main import main

sys.exit(main())
