# colorpipe on the CPU.
#
#   docker build -t colorpipe .
#   docker run --rm --network none --user "$(id -u):$(id -g)" -v "$PWD:/work" colorpipe run album/ -o out
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
# Of equal versions pip takes the one with a local part, 2.13.0+cpu, which comes without CUDA.
RUN pip wheel --no-cache-dir --wheel-dir /wheels --extra-index-url https://download.pytorch.org/whl/cpu .

FROM python:3.12-slim
# OpenCV's wheel looks for these when it is imported.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels colorpipe
# Any user may run it: the cache of weights and measured precision is kept where all can write.
ENV COLORPIPE_CACHE=/cache
RUN mkdir /cache && chmod 1777 /cache
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["colorpipe"]
CMD ["--help"]
