"""Figures of merit, figures and reports."""
