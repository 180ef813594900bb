"""Nets, data and hyper-parameters that claims are judged on."""
