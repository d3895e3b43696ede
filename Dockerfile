# CPU:  docker build -t bayesdip .
# CUDA: docker build -t bayesdip:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .   (there torch is built for CUDA 13)
# Both follow constraints.txt; only where torch comes from differs.
#
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/pictures" bayesdip denoise noisy.png -o clean.png
#   docker run --rm -v "$PWD:/pictures" --gpus all bayesdip:cuda denoise noisy.png -o clean.png --method sgld --device cuda
#   docker run --rm -p 7860:7860 bayesdip studio --host 0.0.0.0 --no-browser
FROM python:3.13-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/bayesdip
ENV PATH=/opt/bayesdip/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt /tmp/
RUN pip install -c /tmp/constraints.txt --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple torch
COPY . /tmp/source
RUN pip install -c /tmp/constraints.txt "/tmp/source[compare,dask,formats,studio,zarr]"
# Loops are compiled here, for the processor of this machine, and not anew in each container; another processor compiles its own.
# What is compiled goes by the time of its source, and a layer of an image keeps whole seconds alone.
ENV NUMBA_CACHE_DIR=/opt/bayesdip/compiled
RUN find /opt/bayesdip/lib/python3*/site-packages/bayesdip -name '*.py' -exec touch --date="@$(date +%s)" {} +
RUN python -c "import numpy as np, bayesdip as bd; x = np.random.default_rng(0).random((48, 48)); bd.denoise(x, 0.1); bd.inpaint(x, x < 0.2); bd.upscale(x, 2)" \
  && chmod -R a+rwX /opt/bayesdip/compiled

FROM python:3.13-slim
COPY --from=build /opt/bayesdip /opt/bayesdip
RUN useradd --create-home user && mkdir /pictures && chown user /pictures
# What is compiled and configured while it runs goes where any user may write.
ENV PATH=/opt/bayesdip/bin:$PATH NUMBA_CACHE_DIR=/opt/bayesdip/compiled MPLCONFIGDIR=/tmp/matplotlib
USER user
WORKDIR /pictures
ENTRYPOINT ["bayesdip"]
CMD ["--help"]
