//! Scraping: pools, loops, target labels, staleness, synthetic series.
