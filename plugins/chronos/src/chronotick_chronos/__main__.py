"""The plugin process."""

from chronotick.sdk import serve
from chronotick_chronos import ChronosForecaster, __version__

if __name__ == "__main__":
    serve(
        ChronosForecaster(), "chronos", __version__, packages=("chronos-forecasting", "transformers", "torch", "numpy")
    )
