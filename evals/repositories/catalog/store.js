import pg from "pg";
import { createClient } from "redis";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, connectionTimeoutMillis: 3000 });
const redis = createClient({ url: process.env.REDIS_URL });
const connected = redis.connect();

export async function load() {
  await connected;
  const text = await redis.get("products");
  if (text) return JSON.parse(text);
  const { rows } = await pool.query("select id, name, cents, offer from products");
  await redis.set("products", JSON.stringify(rows), { EX: 60 });
  return rows;
}

export async function product(id) {
  const { rows } = await pool.query("select id, name, cents, offer from products where id = $1", [id]);
  return rows[0];
}
