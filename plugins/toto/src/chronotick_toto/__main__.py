"""The plugin process."""

from chronotick.sdk import serve
from chronotick_toto import TotoForecaster, __version__

if __name__ == "__main__":
    serve(TotoForecaster(), "toto", __version__, packages=("toto-ts", "transformers", "torch", "numpy"))
