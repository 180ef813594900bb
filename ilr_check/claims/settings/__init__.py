"""Nets, data and hyper-parameters on which claims are judged."""
