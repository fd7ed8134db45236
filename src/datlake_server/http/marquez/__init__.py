"""Marquez's API over the lake, for its clients and dashboards: translates questions and answers, and knows no rules."""
