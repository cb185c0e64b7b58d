"""A plugin without any model: last value, last season, or a known function of time. And every fault one could wish."""
