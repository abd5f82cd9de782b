"""Pages for people, where Aurora had its web UI and where its clients' links lead: /scheduler and below, /updates.

Plain HTML that needs no script: roles, jobs, instances, tasks, updates, each with why it is as it is. Nothing can be
changed here. `table.py` has the addresses, which are Aurora's; `layout.py` how a page is put together.
"""

from scheduler.web.pages.people.layout import HOME
from scheduler.web.pages.people.table import pages

__all__ = ["HOME", "pages"]
