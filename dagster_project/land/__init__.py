"""How data gets into the landing tables: a generated company or a folder of files; and the fit of the churn scorecard."""
