"""Executors: batches → attempts, on one machine or on a Ray cluster."""
