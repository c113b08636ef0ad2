// Railmend on Railway: `railway config plan --file deploy/railway.ts`, then `apply`. See docs/deploy-railway.md.
// railway.json and railway.toml stop working on 2026-12-01; this is what replaces them.
import { defineRailway, github, group, postgres, preserve, project, service, volume } from "railway/iac";

const REPOSITORY = "YOUR-NAME/railmend";
// true: Temporal in this project, on Railway's PostgreSQL. false: Temporal Cloud.
const OWN_TEMPORAL = false;
// Above RAILMEND_GRACE_SECONDS, so that a worker ends by itself.
const DRAINING_SECONDS = 40;

type Variables = Record<string, string | ReturnType<typeof preserve>>;

export default defineRailway(() => {
  const database = postgres("temporal-postgres");
  const temporal = service("temporal", {
    source: github(REPOSITORY),
    build: { builder: "DOCKERFILE", dockerfilePath: "deploy/temporal/Dockerfile" },
    deploy: { restartPolicyType: "ALWAYS" },
    env: {
      POSTGRES_SEEDS: database.env.PGHOST,
      DB_PORT: database.env.PGPORT,
      POSTGRES_USER: database.env.PGUSER,
      POSTGRES_PWD: database.env.PGPASSWORD,
      // Railway's private network speaks IPv6.
      BIND_ON_IP: "::0",
      NUM_HISTORY_SHARDS: "64",
    },
  });

  const connection: Variables = OWN_TEMPORAL
    ? { TEMPORAL_ADDRESS: "temporal.railway.internal:7233", TEMPORAL_NAMESPACE: "default" }
    : { TEMPORAL_ADDRESS: preserve(), TEMPORAL_NAMESPACE: preserve(), TEMPORAL_API_KEY: preserve() };

  const worker = (role: "orchestration" | "planning" | "coding", env: Variables) => ({
    source: github(REPOSITORY),
    build: { builder: "DOCKERFILE" as const, dockerfilePath: "deploy/Dockerfile" },
    start: `python worker.py --role ${role}`,
    healthcheck: "/readyz",
    healthcheckTimeout: 120,
    deploy: { drainingSeconds: DRAINING_SECONDS, restartPolicyType: "ALWAYS" as const },
    env: {
      ...connection,
      // Railway asks for the health check at PORT.
      PORT: "8090",
      RAILMEND_HEALTH_ADDRESS: "[::]:8090",
      RAILMEND_METRICS_ADDRESS: "[::]:9090",
      RAILMEND_GRACE_SECONDS: "25",
      GITHUB_TOKEN: preserve(),
      // Services share no volume, so what they hand on by reference lies in a bucket.
      RAILMEND_ARTIFACTS: preserve(),
      RAILMEND_ARTIFACTS_ENDPOINT: preserve(),
      RAILMEND_ARTIFACTS_KEY_ID: preserve(),
      RAILMEND_ARTIFACTS_SECRET: preserve(),
      ...env,
    },
  });

  const workspaces = volume("railmend-workspaces", { sizeMB: 10240 });
  const orchestration = service(
    "orchestration",
    // PROJECTS says what to watch: RAILWAY_PROJECT_ID is set by Railway itself, to the project this runs in.
    worker("orchestration", { PROJECTS: preserve(), WATCHED_RAILWAY_TOKEN: preserve() }),
  );
  const planning = service("planning", worker("planning", { MODEL: preserve(), MODEL_API_KEY: preserve() }));
  const base = worker("coding", { MODEL: preserve(), MODEL_API_KEY: preserve() });
  const coding = service("coding", {
    ...base,
    volumeMounts: { "/state": workspaces },
    // Railway mounts volumes as root's. A container there may not build namespaces, so the coding agent is sandboxed
    // as another user, which takes root.
    env: { ...base.env, RAILWAY_RUN_UID: "0", RAILMEND_SANDBOX: "user" },
  });

  const workers = group("Railmend", [orchestration, planning, coding, workspaces]);
  const own = OWN_TEMPORAL ? [group("Temporal", [database, temporal])] : [];
  return project("railmend", { resources: [workers, ...own] });
});
