"""The plugin process."""

from chronotick.sdk import serve
from chronotick_ttm import TtmForecaster, __version__

if __name__ == "__main__":
    serve(TtmForecaster(), "ttm", __version__, packages=("granite-tsfm", "transformers", "torch", "numpy"))
