# The whole system in one container: Ray, both doors, the models and, unless REDIS_URL is set, the embedded Valkey.
#
#   docker build --tag fathomnet-serve:cpu .
#   docker build --tag fathomnet-serve:gpu --build-arg ACCELERATOR=gpu .
#   docker run --rm --read-only --tmpfs /tmp:exec --shm-size 11gb -p 127.0.0.1:8082:8082 -v fathomnet-data:/data \
#       fathomnet-serve:cpu
#
# The GPU image needs the NVIDIA Container Toolkit and `--gpus all`; CUDA comes with the locked wheels. Behind a mirror
# of PyPI: `--secret id=pip,src=$HOME/.config/pip/pip.conf`; a secret is there during the build and in no layer. Another
# base with Python 3.11 to 3.13 and venv: `--build-arg BASE_IMAGE=...`.

ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS packages

WORKDIR /app

# The dependencies only: made anew only when a lock changes. The packages of the project are installed in editable
# form, which needs their folders but not yet what is in them.
ARG ACCELERATOR=cpu
COPY install.sh pyproject.toml README.md ./
COPY requirements/ requirements/
# Compiled here, as a root file system that is read-only cannot keep what Python compiles; valid whatever time a copy
# gives to the files. What is removed again is for those who compile against TensorFlow or write Java for Ray, and pip.
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    case "$ACCELERATOR" in \
        cpu) set_name=base ;; \
        gpu) set_name=gpu ;; \
        *) echo "ACCELERATOR is cpu or gpu, got $ACCELERATOR" >&2; exit 2 ;; \
    esac \
    && mkdir deployments serve_app redis_bridge loadtests benchmarks training \
    && PYTHON=python3 PIP_NO_COMPILE=1 ./install.sh /opt/venv "$set_name" \
    && rm -rf /opt/venv/bin/pip* \
    && for unused in tensorflow/include clang/native ray/jars pip; do \
        rm -rf /opt/venv/lib/python3*/site-packages/"$unused" || exit 1; \
    done \
    && rm -rf /opt/venv/lib/python3*/site-packages/pip-*.dist-info \
    # A package may hold files for another Python, which do not compile.
    && { python3 -m compileall -qq -j 0 --invalidation-mode unchecked-hash /opt/venv/lib || true; }


FROM ${BASE_IMAGE}

# The same user in every build, so that a volume made by one image is writable for the next. Its home is the volume:
# nothing else of the image needs to be written.
RUN useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin fathom \
    && install --directory --owner fathom --group fathom --mode 0700 /data

WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY deployments/ deployments/
COPY serve_app/ serve_app/
COPY redis_bridge/ redis_bridge/
COPY loadtests/ loadtests/
COPY configs/ configs/
COPY LICENSE NOTICE ./

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    FATHOM_DATA_DIR=/data \
    FATHOM_WEIGHTS_DIR=/data/weights

RUN python -m compileall -q --invalidation-mode unchecked-hash deployments serve_app redis_bridge loadtests

# By number, so that Kubernetes can tell that it is not root.
USER 10001
VOLUME /data

# The HTTP door. The Ray dashboard stays on the container's loopback, since whoever reaches it can run code:
# `docker exec CONTAINER python -m serve_app.launch status|add|remove|deploy` works inside.
EXPOSE 8082

# SIGTERM would be taken as well, but only SIGINT drains whatever is started here, `serve run` included.
STOPSIGNAL SIGINT
# Past any proxy for the internet that the container was given.
HEALTHCHECK --interval=15s --timeout=10s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ.get('FATHOM_HTTP_PORT') or 8082}/health/live\", timeout=5)"]

ENTRYPOINT ["python", "-m", "serve_app.launch"]
CMD ["serve", "configs/app.yaml"]
