import sys

from chronotick.lab.process import main

sys.exit(main())
