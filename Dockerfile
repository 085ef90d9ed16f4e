# One image for every govsense process: `docker run IMAGE ingest`, `docker run IMAGE api`.
FROM python:3.11.13-slim-bookworm AS build
RUN python -m venv /opt/govsense
WORKDIR /src
COPY requirements.lock ./
RUN /opt/govsense/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY runtime ./runtime
COPY devices ./devices
COPY detection ./detection
COPY storage ./storage
COPY ingest ./ingest
COPY api ./api
COPY reports ./reports
COPY simulators ./simulators
RUN /opt/govsense/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11.13-slim-bookworm
# A new volume takes over the owner of the directory that it is mounted on.
RUN useradd --system --uid 10001 --home-dir /var/lib/govsense --create-home govsense \
    && install -d -o govsense -m 700 /credentials/writer /credentials/reader
COPY --from=build /opt/govsense /opt/govsense
ENV PATH=/opt/govsense/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    GOVSENSE_PLATFORM__DATA_DIR=/var/lib/govsense
USER govsense
WORKDIR /var/lib/govsense
ENTRYPOINT ["govsense"]
CMD ["--help"]
