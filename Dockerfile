# The whole system in one container: Ray, both doors, the models and, unless REDIS_URL is set, the embedded Valkey.
#
#   docker build --tag fathomnet-serve:cpu .
#   docker build --tag fathomnet-serve:gpu --build-arg ACCELERATOR=gpu .
#   docker run --rm --shm-size 11gb -p 127.0.0.1:8082:8082 -v fathomnet-data:/data fathomnet-serve:cpu
#
# The GPU image needs the NVIDIA Container Toolkit and `--gpus all`; CUDA comes with the locked wheels.

FROM python:3.12-slim-bookworm

# The same user in every build, so that a volume made by one image is writable for the next.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin fathom \
    && install --directory --owner fathom --group fathom --mode 0700 /data

WORKDIR /app

# Dependencies first: these layers are made anew only when a lock changes. The packages are installed in editable
# form, which needs their folders but not yet what is in them.
ARG ACCELERATOR=cpu
COPY install.sh pyproject.toml README.md ./
COPY requirements/ requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    case "$ACCELERATOR" in \
        cpu) set_name=base ;; \
        gpu) set_name=gpu ;; \
        *) echo "ACCELERATOR is cpu or gpu, got $ACCELERATOR" >&2; exit 2 ;; \
    esac \
    && mkdir deployments serve_app redis_bridge loadtests benchmarks training \
    && PYTHON=python3 ./install.sh /opt/venv "$set_name"

COPY deployments/ deployments/
COPY serve_app/ serve_app/
COPY redis_bridge/ redis_bridge/
COPY loadtests/ loadtests/
COPY configs/ configs/
COPY LICENSE NOTICE ./

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FATHOM_DATA_DIR=/data \
    FATHOM_WEIGHTS_DIR=/data/weights

# By number, so that Kubernetes can tell that it is not root.
USER 10001
VOLUME /data

# The HTTP door. The Ray dashboard stays on the container's loopback, since whoever reaches it can run code:
# `docker exec CONTAINER python -m serve_app.launch status|add|remove|deploy` works inside.
EXPOSE 8082

# SIGTERM would be taken as well, but only SIGINT drains whatever is started here, `serve run` included.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=15s --timeout=10s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('FATHOM_HTTP_PORT') or 8082}/health/live\", timeout=5)"]

ENTRYPOINT ["python", "-m", "serve_app.launch"]
CMD ["serve", "configs/app.yaml"]
