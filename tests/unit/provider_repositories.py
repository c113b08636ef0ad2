"""Ten small made-up services in different languages, each with what tempts a careless reader."""

from typing import NamedTuple


class Repository(NamedTuple):
    files: dict[str, str]
    used: set[str]


NODE_SHOP = Repository(
    {
        "package.json": """{
  "name": "shop",
  "homepage": "https://shop.netlify.app",
  "dependencies": {"express": "4", "stripe": "^16", "@sendgrid/mail": "8", "pg": "8", "redis": "4"},
  "devDependencies": {"@sentry/cli": "2", "twilio": "5", "nock": "13"}
}""",
        "src/server.ts": """import express from 'express';
import Stripe from "stripe";
// import OpenAI from 'openai' was tried here, see https://api.openai.com/v1
const stripe = new Stripe(process.env.STRIPE_SECRET_KEY!);
const mail = require('@sendgrid/mail');
/* the old shop called https://api.paypal.com/v1/payments */
mail.setApiKey(process.env["SENDGRID_API_KEY"]);
const note = "never use // as a separator";
""",
        "src/pay.test.ts": "import twilio from 'twilio';\nfetch('https://api.mollie.com/v2');\n",
        "docker-compose.yml": "services:\n  mock:\n    environment:\n      URL: https://api.telnyx.com\n",
        "README.md": "Thanks to [Auth0](https://acme.auth0.com) and `npm i @clerk/nextjs`.\n",
        "docs/setup.js": "import { PostHog } from 'posthog-node';\n",
    },
    {"stripe", "sendgrid"},
)

PYTHON_AGENT = Repository(
    {
        "pyproject.toml": """
[project]
name = "agent"
dependencies = ["anthropic>=0.40", "fastapi", "Sentry_SDK[fastapi]", "boto3"]
[project.optional-dependencies]
dev = ["stripe"]
[dependency-groups]
dev = ["twilio"]
""",
        "agent/main.py": '''"""Not to be confused with https://api.openai.com or import openai."""
import os
import sentry_sdk
from anthropic import Anthropic
import boto3

# client = OpenAI(base_url="https://api.groq.com/openai/v1")
sentry_sdk.init(dsn=os.environ["SENTRY_DSN"])
store = boto3.client("s3", endpoint_url="https://abc.r2.cloudflarestorage.com")


def say() -> str:
    """Asks https://api.deepgram.com no more."""
    return Anthropic().messages.create(model="m", max_tokens=1, messages=[])
''',
        "tests/test_main.py": "import openai\n",
    },
    {"anthropic", "sentry", "cloudflare"},
)

DJANGO = Repository(
    {
        "requirements.txt": """Django==5.1
psycopg[binary]
django-ses
-r other.txt
# stripe==9
algoliasearch~=4.0
""",
        "requirements-dev.txt": "twilio\nslack-sdk\n",
        "site/settings.py": """EMAIL_HOST = "email-smtp.eu-west-1.amazonaws.com"
ALGOLIA = {"APPLICATION_ID": env("ALGOLIA_APP_ID")}
SUPPORT = "help@twilio.com"
""",
        "stripe/__init__.py": "",
        "site/views.py": "import stripe  # our own package for striped rows\nfrom .slack import notify\n",
        "site/slack.py": "def notify(): ...\n",
    },
    {"aws", "algolia"},
)

GO_API = Repository(
    {
        "go.mod": """module github.com/acme/api

go 1.23

require (
\tgithub.com/stripe/stripe-go/v79 v79.1.0
\tgithub.com/slack-go/slack v0.14.0
\tgithub.com/getsentry/sentry-go v0.29.0 // indirect
)
require cloud.google.com/go/pubsub v1.42.0
""",
        "main.go": """package main

import (
\t"net/http"
\tstripe "github.com/stripe/stripe-go/v79"
\t"cloud.google.com/go/pubsub"
)

// twilio used to live at https://api.twilio.com
var key = os.Getenv("STRIPE_KEY")
const hook = "https://hooks.slack.com/services/"
""",
        "main_test.go": 'package main\n\nimport "github.com/twilio/twilio-go"\n',
    },
    {"stripe", "slack", "google_cloud"},
)

RAILS = Repository(
    {
        "Gemfile": """source "https://rubygems.org"
gem "rails", "~> 8.0"
gem "pg"
gem "aws-sdk-s3", require: false
gem "postmark-rails"
gem "rollbar", group: :development
# gem "stripe"
group :development, :test do
  gem "twilio-ruby"
end
gem "honeybadger"
""",
        "Gemfile.lock": "GEM\n  specs:\n    stripe (13.0)\n\nDEPENDENCIES\n  sentry-ruby\n\nBUNDLED WITH\n",
        "app/models/user.rb": """class User
  TOKEN = ENV.fetch("POSTMARK_API_TOKEN")
  # Stripe::Charge via https://api.stripe.com
end
""",
        "spec/user_spec.rb": 'require "twilio-ruby"\n',
    },
    {"aws", "postmark", "honeybadger"},
)

RUST_BOT = Repository(
    {
        "Cargo.toml": """
[package]
name = "bot"
[dependencies]
serenity = "0.12"
async-openai = { version = "0.26" }
sentry-not = { package = "sentry", version = "0.34" }
tokio = "1"
[dev-dependencies]
octocrab = "0.41"
""",
        "src/main.rs": """use serenity::prelude::*;
use octocrab::Octocrab; // only in an example
/// Speaks to <https://api.mistral.ai>.
fn main() { let key = std::env::var("OPENAI_API_KEY").unwrap(); let quote = '"'; }
""",
    },
    {"discord", "openai", "sentry"},
)

LARAVEL = Repository(
    {
        "composer.json": """{"require": {"php": "^8.3", "laravel/framework": "^11",
"mollie/laravel-mollie": "^3", "league/flysystem-aws-s3-v3": "^3"},
"require-dev": {"stripe/stripe-php": "^15"}}""",
        "app/Pay.php": """<?php
use Mollie\\Laravel\\Facades\\Mollie;
use Stripe\\StripeClient;
# https://api.paddle.com
#[Route('/pay')]
$mail = env('MAILGUN_SECRET');
""",
        "config/filesystems.php": """<?php
return ['key' => env('AWS_ACCESS_KEY_ID'), 'endpoint' => 'https://fra1.digitaloceanspaces.com'];
""",
    },
    {"mollie", "mailgun", "digitalocean"},
)

SPRING = Repository(
    {
        "pom.xml": """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <dependencyManagement><dependencies>
    <dependency><groupId>com.stripe</groupId><artifactId>stripe-java</artifactId></dependency>
  </dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>com.twilio.sdk</groupId><artifactId>twilio</artifactId></dependency>
    <dependency><groupId>io.sentry</groupId><artifactId>sentry</artifactId><scope>test</scope></dependency>
    <!-- <dependency><groupId>com.auth0</groupId><artifactId>auth0</artifactId></dependency> -->
  </dependencies>
</project>""",
        "src/main/java/app/Main.java": """package app;
import com.twilio.Twilio;
import com.google.cloud.storage.Storage;
/** See https://api.stripe.com/v1. */
class Main { String key = System.getenv("OPENAI_API_KEY"); }
""",
        "src/main/resources/application.yml": """spring:
  mail:
    host: smtp.sendgrid.net # not smtp.mailgun.org
    password: ${DD_API_KEY:}
""",
        "src/test/java/app/MainTest.java": "import com.stripe.Stripe;\n",
    },
    {"twilio", "google_cloud", "openai", "sendgrid", "datadog"},
)

DOTNET = Repository(
    {
        "Api/Api.csproj": """<Project Sdk="Microsoft.NET.Sdk.Web"><ItemGroup>
<PackageReference Include="Azure.Storage.Blobs" Version="12" />
<PackageReference Include="Stripe.net" Version="47" />
<PackageReference Include="Sentry" Version="4" PrivateAssets="all" />
</ItemGroup></Project>""",
        "Api/Program.cs": """using Stripe;
using Twilio.Rest; // a namespace of our own
using Azure.Storage.Blobs;
var url = "https://acme.documents.azure.com";
var flag = Environment.GetEnvironmentVariable("LAUNCHDARKLY_SDK_KEY");
""",
        "Api/PayTests.cs": "using Braintree;\n",
    },
    {"stripe", "azure", "launchdarkly"},
)

NEXT_MONOREPO = Repository(
    {
        "package.json": '{"workspaces": ["apps/*"], "devDependencies": {"@sentry/cli": "2"}}',
        "apps/web/package.json": """{"dependencies": {"next": "15", "@clerk/nextjs": "6",
"@supabase/supabase-js": "2", "openai": "4"}}""",
        "apps/web/app/page.tsx": """import { auth } from '@clerk/nextjs/server';
import { createClient } from '@supabase/supabase-js';
import OpenAI from 'openai';
const ai = new OpenAI({ baseURL: 'https://openrouter.ai/api/v1', apiKey: process.env.OPENROUTER_API_KEY });
const db = createClient(process.env.NEXT_PUBLIC_SUPABASE_URL!, '');
const link = <a href="https://stripe.com/docs">docs</a>, chat = "https://discord.com/invite/x";
const cors = ["https://acme.vercel.app", "https://acme.netlify.app"], logo = "https://res.cloudinary.com/a.png";
const scope = "https://www.googleapis.com/auth/userinfo.email";
""",
        "apps/web/lib/edge.ts": 'const { Redis } = await import("npm:@upstash/redis@1.34");\n',
        "apps/web/.github/x.js": "import 'twilio';\n",
        "examples/chat/package.json": '{"dependencies": {"@anthropic-ai/sdk": "1"}}',
    },
    {"clerk", "supabase", "openrouter", "upstash"},
)

REPOSITORIES = {
    "node": NODE_SHOP,
    "python": PYTHON_AGENT,
    "django": DJANGO,
    "go": GO_API,
    "rails": RAILS,
    "rust": RUST_BOT,
    "laravel": LARAVEL,
    "spring": SPRING,
    "dotnet": DOTNET,
    "next": NEXT_MONOREPO,
}
