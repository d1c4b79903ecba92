# Two images from one file. `app`: gateway, workers, migrations, command line. `simulator`: the same, and it hears and speaks.
# The file keeps to what every builder knows: no BuildKit syntax.
ARG PYTHON_IMAGE=python:3.13-slim

##### Packages, byte for byte as locked. No image keeps these stages.

FROM ${PYTHON_IMAGE} AS build
# For a machine with a package index of its own; unset, pip asks the public one. Known to these stages alone, so that a
# password in a URL ends up in no image. An index whose certificate is private needs a PYTHON_IMAGE that trusts it.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src

FROM build AS wheel
COPY requirements/build.txt requirements/
RUN python -m venv --without-pip /build \
 && pip --python /build/bin/python install --quiet --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY agents agents
COPY migrations migrations
COPY ringback ringback
COPY gateway gateway
COPY workers workers
COPY simulator simulator
COPY cli cli
RUN /build/bin/python -m hatchling build -t wheel -d /dist

FROM build AS app-packages
COPY requirements/run.txt requirements/
RUN python -m venv --without-pip /opt/ringback \
 && pip --python /opt/ringback/bin/python install --quiet --require-hashes -r requirements/run.txt

FROM app-packages AS simulator-packages
COPY requirements/simulator.txt requirements/
RUN pip --python /opt/ringback/bin/python install --quiet --require-hashes -r requirements/simulator.txt

##### What runs: the packages, our wheel, the agents, and an account that may write nothing.

FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.title="Ringback" org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/ringback/bin:$PATH PYTHONUNBUFFERED=1
# Agents are looked for in ./agents, and a worker imports tools from its working directory: mount yours below /app.
WORKDIR /app
RUN useradd --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin ringback
COPY agents agents

FROM runtime AS simulator
COPY --from=simulator-packages /opt/ringback /opt/ringback
COPY --from=wheel /dist /tmp/dist
RUN pip --python /opt/ringback/bin/python install --quiet --no-cache-dir --no-index --no-deps /tmp/dist/*.whl && rm -r /tmp/dist
USER 10001:10001
CMD ["ringback", "simulator", "--host", "0.0.0.0", "--port", "8090"]

# The last stage is what a build without a target makes.
FROM runtime AS app
COPY --from=app-packages /opt/ringback /opt/ringback
COPY --from=wheel /dist /tmp/dist
RUN pip --python /opt/ringback/bin/python install --quiet --no-cache-dir --no-index --no-deps /tmp/dist/*.whl && rm -r /tmp/dist
USER 10001:10001
CMD ["ringback", "--help"]
