"""The console at `/console`: what operators see of calls, talks and processes, and what they do to them.

visitors   who is signed in, and whether a form is the console's own
sign_in    a token, or a link that works once, for a cookie
pages      templates, and errors as pages
jobs       the list with its search, chart and export; search_line: filters as one text; chart: its numbers
job        one call, and acts on it
acts       cancel or run again all calls that match
sessions   the list of talks, and one talk; story: what happened in it; timeline: where each part is drawn
serving    tools, queues and workers, their controls, and the audit log
usage      tokens, money and minutes
live       the stream that tells a page to ask again
"""

from gateway.web.console import acts, job, jobs, live, serving, sessions, sign_in, usage

_PAGES = (sign_in, jobs, acts, job, sessions, serving, live, usage)
routers = (*(pages.router for pages in _PAGES), sign_in.links, sign_in.elsewhere)
"""Routers of all its pages."""
