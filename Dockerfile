# The web page and the JSON API. Build in a clone: docker build -t mien .
# Run: docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -p 127.0.0.1:8000:8000 mien
# Behind a proxy with TLS and log-in: examples/docker/
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
# the build fetches the face detector once, hash checked, unless the clone has it
RUN python -m venv /opt/mien && /opt/mien/bin/pip install --no-cache-dir '.[web]'

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin mien
COPY --from=build /opt/mien /opt/mien
ENV PATH=/opt/mien/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp MIEN_CACHE=/tmp/mien
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["mien"]
CMD ["serve", "--host", "0.0.0.0"]
