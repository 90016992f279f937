# One agent in a factory: connectors, outbox, sender. No Airflow, no Great Expectations, no pandas.
FROM python:3.11.13-slim-bookworm
RUN useradd --create-home --uid 1000 nplusx && install -d -o nplusx /var/lib/nplusx
WORKDIR /opt/nplusx
COPY requirements-edge.lock pyproject.toml README.md ./
RUN pip install --no-cache-dir --require-hashes -r requirements-edge.lock
COPY kernel kernel
COPY contracts contracts
COPY connectors connectors
COPY bus bus
COPY warehouse warehouse
COPY policy policy
COPY registry registry
COPY pipeline pipeline
RUN printf '#!/bin/sh\nexec python -m pipeline.cli "$@"\n' > /usr/local/bin/nplusx && chmod 755 /usr/local/bin/nplusx
USER nplusx
ENV PYTHONPATH=/opt/nplusx PYTHONUNBUFFERED=1
VOLUME /var/lib/nplusx
CMD ["nplusx", "--help"]
