"""Two agents and a customer write at once while answers, streams, Redis and sessions fail at random.

`python -m tests.browser.two_agents --minutes 10` runs it in Chromium against an installation of
its own, prints its figures and its seed, and ends with 0 where nothing was lost, doubled, sent to
the wrong person or closed unseen, and every screen showed what the database holds.
"""
