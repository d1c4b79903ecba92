"""The console at `/console`: what operators see of calls, talks and processes, and what they do to them.

visitors     who is signed in, and whether a form is the console's own
sign_in      a token, or a link that works once, for a cookie
pages        templates, and errors as pages
jobs         the list with its search, chart and export; search_line: filters as one text; chart: its numbers
    job          one call
    sessions     the list of talks, and one talk; story: what happened in it; timeline: where each part is drawn
"""

from gateway.web.console import job, jobs, sessions, sign_in

routers = (sign_in.router, sign_in.links, jobs.router, job.router, sessions.router)
"""Routers of all its pages."""
