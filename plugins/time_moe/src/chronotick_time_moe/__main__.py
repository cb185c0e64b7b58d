"""The plugin process."""

from chronotick.sdk import serve
from chronotick_time_moe import TimeMoeForecaster, __version__

if __name__ == "__main__":
    serve(TimeMoeForecaster(), "time_moe", __version__, packages=("sktime", "transformers", "torch", "numpy"))
