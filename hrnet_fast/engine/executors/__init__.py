"""Executors: each plays any Plan, and knows nothing of HRNet."""
