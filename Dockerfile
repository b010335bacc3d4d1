FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=${VERSION}" -o /out/pushserver ./cmd/pushserver

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/pushserver /pushserver
USER 65532:65532

# Variables, not arguments, so that `docker run … serve --redis …` keeps them. The
# default, loopback, is unreachable from outside the container. Port 9090 has health
# and metrics: expose it to operators only.
ENV PUSHSERVER_LISTEN=0.0.0.0:8080 PUSHSERVER_OPS_LISTEN=0.0.0.0:9090
EXPOSE 8080 9090

HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["/pushserver", "healthcheck"]
ENTRYPOINT ["/pushserver"]
CMD ["serve"]
