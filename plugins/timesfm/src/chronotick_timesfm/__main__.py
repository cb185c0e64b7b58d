"""The plugin process."""

from chronotick.sdk import serve
from chronotick_timesfm import TimesFmForecaster, __version__

if __name__ == "__main__":
    serve(TimesFmForecaster(), "timesfm", __version__, packages=("timesfm", "jax", "torch", "numpy"))
