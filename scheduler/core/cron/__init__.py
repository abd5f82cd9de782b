"""Cron: the grammar of schedules, what is asked of templates, and runs: due, missed, held back, begun."""
