"""The plan that the studies of two specs on real models share."""
