// @shopify/shopify-app-react-router, Shopify's current template: authenticate.webhook in an
// action of a React Router app on Express, with an insert a webhook.
import cluster from "node:cluster";
import express from "express";
import "@shopify/shopify-app-react-router/adapters/node";
import { LogSeverity } from "@shopify/shopify-api";
import { AppDistribution, shopifyApp } from "@shopify/shopify-app-react-router/server";
import { MemorySessionStorage } from "@shopify/shopify-app-session-storage-memory";
import { createRequestHandler } from "@react-router/express";
import { store } from "./store.mjs";

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork();
} else {
  const shopify = shopifyApp({
    apiKey: "bench", apiSecretKey: process.env.BENCH_SECRET, scopes: ["read_orders"],
    appUrl: "https://app.example.com", apiVersion: "2026-10",
    distribution: AppDistribution.AppStore, sessionStorage: new MemorySessionStorage(),
    logger: { level: LogSeverity.Error },
  });
  const action = async ({ request }) => {
    const { topic, shop, webhookId, payload } = await shopify.authenticate.webhook(request);
    await store(shop, webhookId, topic, JSON.stringify(payload));
    return new Response();
  };
  // What `react-router build` makes of a template with this one route.
  const build = {
    entry: { module: { default: () => new Response("", { status: 404 }) } },
    routes: { webhooks: { id: "webhooks", path: "webhooks", module: { action } } },
    assets: { entry: { imports: [], module: "" }, routes: {}, url: "", version: "1" },
    publicPath: "/", assetsBuildDirectory: "build", future: {}, ssr: true, isSpaMode: false,
    prerender: [], basename: "/", routeDiscovery: { mode: "initial" }, allowedActionOrigins: [],
  };
  const app = express();
  app.all("/{*path}", createRequestHandler({ build, mode: "production" }));
  app.listen(Number(process.env.PORT), "127.0.0.1");
}
