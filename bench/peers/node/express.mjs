// @shopify/shopify-app-express, as its README shows: processWebhooks with a handler that stores.
import cluster from "node:cluster";
import express from "express";
import { LogSeverity } from "@shopify/shopify-api";
import { shopifyApp } from "@shopify/shopify-app-express";
import { MemorySessionStorage } from "@shopify/shopify-app-session-storage-memory";
import { store } from "./store.mjs";

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork();
} else {
  const shopify = shopifyApp({
    api: {
      apiKey: "bench", apiSecretKey: process.env.BENCH_SECRET, scopes: ["read_orders"],
      hostName: "app.example.com", hostScheme: "https", isEmbeddedApp: true,
      apiVersion: "2026-10", logger: { level: LogSeverity.Error },
    },
    auth: { path: "/auth", callbackPath: "/auth/callback" },
    webhooks: { path: "/webhooks" },
    sessionStorage: new MemorySessionStorage(),
  });
  const app = express();
  app.post("/webhooks", shopify.processWebhooks({
    webhookHandlers: {
      ORDERS_UPDATED: {
        deliveryMethod: "http", callbackUrl: "/webhooks",
        callback: (topic, shop, body, webhookId) => store(shop, webhookId, topic, body),
      },
    },
  }));
  app.listen(Number(process.env.PORT), "127.0.0.1");
}
