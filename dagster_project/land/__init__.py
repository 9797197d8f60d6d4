"""Fills the landing tables, by a generated company or by files, and fits the churn scorecard on what they hold."""
