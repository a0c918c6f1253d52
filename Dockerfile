# The image of Gatehouse. docs/deploy.md says which of this was tried, and that no Docker was at hand to build it.
#
# The minor version of Python is the one that `make test` runs on. A tag can be moved by whoever owns it: before you trust an image,
# write the digest behind both tags (docs/deploy.md).

FROM python:3.11.15-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/gatehouse
COPY locks/run.txt locks/run.txt
# Wheels alone, each by its hash: nothing is compiled, and no package runs code of its own while it is installed.
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --no-compile --only-binary=:all: --require-hashes -r locks/run.txt
COPY gateway/ gateway/
COPY audit/ audit/
COPY migrations/ migrations/
COPY policies/ policies/
COPY tools/__init__.py tools/prepare.py tools/first_key.py tools/
# Compiled here, since the root filesystem is read-only where it runs; without time stamps, which a copied layer may change.
RUN printf '/opt/gatehouse\n' > /opt/venv/lib/python3.11/site-packages/gatehouse.pth \
 && printf '#!/opt/venv/bin/python\nfrom gateway.cli import main\n\nmain()\n' > /opt/venv/bin/gatehouse \
 && chmod 0755 /opt/venv/bin/gatehouse \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib /opt/gatehouse

FROM python:3.11.15-slim-bookworm
# A number of its own and no shell. The program's files belong to root; the home folder is all that this user may write.
RUN groupadd --gid 10001 gatehouse \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/gatehouse --shell /usr/sbin/nologin gatehouse \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/gatehouse
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/gatehouse /opt/gatehouse
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 GATEHOUSE_HOME=/var/lib/gatehouse
WORKDIR /opt/gatehouse
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["gatehouse"]
CMD ["run"]
