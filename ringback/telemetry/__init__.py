"""What the processes tell of themselves: metrics and traces.

metrics      every metric: its name, labels and meaning; call sites count through these
instruments  counters, gauges and histograms that do nothing until the process begins to measure
slots        one set of files for each of several processes that are scraped as one
tracing      traces of calls, where OpenTelemetry is turned on: `call_spans`, `call_trace`, `names`
"""
