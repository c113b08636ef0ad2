"""By what a frame of a stack trace is known as a library's: its path, or the name of its package."""

import re

LIBRARY_PATH = re.compile(
    r"site-packages|dist-packages|/lib(?:64)?/python\d|^<(?:frozen|string|__array)|node_modules|^node:|^internal/"
    r"|/go/src/|/pkg/mod/|(?:^|/)vendor/|/gems/|rubygems|^<internal:|/ruby/\d|bundler|/rustc/|\.cargo/|\.rustup/"
    r"|^/usr/(?:lib|share|local/lib)/|/\.pnpm/|/\.yarn/|webpack/runtime|webpack/bootstrap|^/opt/(?:bitnami|nix)"
    r"|^/nix/store|/\.venv/|/virtualenvs/|^library/(?:std|core|alloc)|\.pyx$"
)
LIBRARY_NAME = re.compile(
    r"^(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|clojure|akka|play|rx|feign|zipkin2?"
    r"|brave|lombok|antlr|junit|reactor|okhttp3|okio|retrofit2|redis\.clients|ch\.qos|freemarker|graphql"
    r"|org\.(?:spring\w*|apache|hibernate|eclipse|jboss|postgresql|slf4j|aspectj|junit|codehaus|glassfish|mongodb"
    r"|thymeleaf|quartz|flywaydb|jooq|mybatis|h2|mariadb|elasticsearch|redisson|gradle|bouncycastle|xnio|reactivestreams)"
    r"|com\.(?:fasterxml|zaxxer|netflix|mysql|google|mongodb|rabbitmq|amazonaws|github|microsoft|oracle|datadog"
    r"|newrelic|squareup|alibaba|baomidou|typesafe|lmax|hazelcast|twitter)"
    r"|io\.(?:netty|lettuce|micrometer|vertx|quarkus|grpc|undertow|reactivex|micronaut|ktor|opentelemetry|jsonwebtoken"
    r"|sentry|projectreactor|smallrye|swagger)|net\.(?:bytebuddy|sf|logstash)|software\.amazon)\."
    r"|^(?:System|Microsoft|Npgsql|MySql|MySqlConnector|StackExchange|Newtonsoft|Dapper|Serilog|Polly|MediatR"
    r"|AutoMapper|FluentValidation|MassTransit|Grpc|Azure|Amazon|Google|RabbitMQ|MongoDB|Hangfire|Quartz)\."
    r"|CGLIB|\$\$Lambda|\$\$Fast|\$\$Enhancer|\$Proxy\d"
    r"|^<?(?:std|core|alloc|tokio|hyper|axum|actix\w*|tower\w*|futures\w*|backtrace|rocket|warp|mio|rayon|reqwest)\b"
    r"|^(?:__?rust|rust_|_start|__libc|clone|start_thread|main$|_main$|<unknown>)"
)
ELIXIR_LIBRARY = frozenset(
    (
        *("elixir", "stdlib", "kernel", "erts", "phoenix", "plug", "plug_cowboy", "plug_crypto"),
        *("ecto", "ecto_sql", "db_connection", "postgrex", "cowboy", "bandit", "thousand_island"),
        *("telemetry", "mix", "ex_unit", "logger", "iex", "gen_stage", "broadway", "oban", "absinthe"),
        *("finch", "mint", "tesla", "jason", "phoenix_live_view", "phoenix_ecto"),
    )
)
