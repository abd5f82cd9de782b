"""Drills: short rehearsals of a disaster, with clients at work, a fault, and a verdict (`scripts/drill --help`).

| part | what |
| --- | --- |
| `scenarios` | the table of drills: what happens, one deed after another |
| `place` | where it happens, and what every place can do |
| `local`, `vagrant`, `machines` | this machine; the cluster in virtual machines, and the way into them |
| `watch` | looks at every scheduler all the time, and so knows who leads |
| `doors` | how clients and monitor call whoever leads, and the list of what they were told and by whom |
| `rolling` | an update that goes on while a monitor says so |
| `run` | one drill from its start to its verdict |
| `verdict` | the rules that are not about single calls; those are in `scheduler.testing.history` |
| `timeline`, `page` | what happened when, and the page that shows it |
"""
