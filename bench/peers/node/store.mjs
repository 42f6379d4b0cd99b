// One insert a webhook into the peers' table, over node-postgres's pool.
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.BENCH_DATABASE_URL, max: 16 });

export function store(shop, webhookId, topic, body) {
  return pool.query(
    "INSERT INTO webhooks (shop, webhook_id, topic, body) VALUES ($1, $2, $3, $4)" +
      " ON CONFLICT (shop, webhook_id) DO NOTHING",
    [shop, webhookId, topic, Buffer.from(body)],
  );
}
