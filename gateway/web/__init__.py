"""Pages for people, served by the gateway itself: plain HTML, CSS and ES modules, without a build step.

security_headers  what every answer tells a browser it may not do
static            the files of the pages, at addresses that change with their content
assets            files that the pages share: the look
talk              the page at `/` that talks
console           the pages at `/console`, for operators
"""
