// Asks firebase-tools itself what a deploy would do to a project: its discovery, its parameters, its planner of functions, its
// deploy of rules and indexes. Nothing leaves this machine: this program answers all requests of firebase-tools to Google.
// Reads a question as JSON from standard input, answers as JSON: see plan.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import path from "node:path";

const question = JSON.parse(readFileSync(0, "utf8"));
const { project, projectNumber, folder, firebaseJson, has } = question;
const tools = createRequire(path.join(question.firebaseTools, "package.json"));
const lib = (name) => tools(`./lib/${name}.js`);

process.env.IS_FIREBASE_CLI = "true"; // so that it reports
const said = process.stdout.write.bind(process.stdout);
process.stdout.write = (text, ...rest) => process.stderr.write(text, ...rest); // what firebase-tools reports

lib("logger").useConsoleLoggers();

// Of two plans at once each discovers the functions at a port of its own; firebase-tools itself begins at 8081.
tools("portfinder").getPortPromise = freePort;

const writes = [];
answerForGoogle();

const { Config } = lib("config");
const config = new Config(firebaseJson, { projectDir: folder, cwd: folder });
const options = {
  project,
  projectId: project,
  projectNumber,
  config,
  only: "functions,firestore",
  nonInteractive: true,
  force: question.force,
  rc: { projects: {} },
};

try {
  end({ functions: await functions(), firestore: await firestore(), writes });
} catch (error) {
  end({ error: [error.message, ...(error.children ?? []).map(String)].join("\n") });
}

/** At once: a timer of firebase-tools' discovery would keep the process. */
function end(answer) {
  said(JSON.stringify(answer), () => process.exit(0));
}

/** What the planner says of each function; and of each that is there and in no list of the plan, that it is left as it is. */
async function functions() {
  const backend = lib("deploy/functions/backend");
  const build = lib("deploy/functions/build");
  const env = lib("functions/env");
  const helper = lib("deploy/functions/functionsDeployHelper");
  const planner = lib("deploy/functions/release/planner");
  const prepare = lib("deploy/functions/prepare");
  const projectConfig = lib("functions/projectConfig");

  const configured = projectConfig.normalizeAndValidate(config.src.functions);
  const firebaseConfig = { projectId: project };
  const builds = await prepare.loadCodebases(configured, options, firebaseConfig, {}, undefined);
  const want = {};
  for (const [codebase, wanted] of Object.entries(builds)) {
    const of = projectConfig.configForCodebase(configured, codebase);
    const userEnvs = env.loadUserEnvs({
      functionsSource: config.path(of.source),
      configDir: config.path(projectConfig.resolveConfigDir(of, codebase)),
      projectId: project,
      projectDir: folder,
    });
    const resolved = await build.resolveBackend({
      build: wanted,
      firebaseConfig,
      userEnvs,
      codebase,
      nonInteractive: true,
      isEmulator: false,
    });
    for (const endpoint of backend.allEndpoints(resolved.backend)) endpoint.codebase = codebase;
    want[codebase] = resolved.backend;
  }

  const there = has.functions.map((endpoint) => ({
    project,
    platform: "gcfv2",
    labels: { "deployment-tool": "cli-firebase" },
    ...endpoint,
  }));
  const have = helper.groupEndpointsByCodebase(want, there);
  const changes = [];
  for (const [codebase, wantBackend] of Object.entries(want)) {
    const plan = await planner.createDeploymentPlan({
      codebase,
      wantBackend,
      haveBackend: have[codebase],
      projectId: project,
    });
    for (const set of Object.values(plan.regionalChangesets)) {
      changes.push(
        ...set.endpointsToCreate.map((endpoint) => change("create", endpoint)),
        ...set.endpointsToUpdate.map(({ endpoint }) => change("overwrite", endpoint)),
        ...set.endpointsToDelete.map((endpoint) => change("delete", endpoint)),
        ...set.endpointsToSkip.map((endpoint) => change("skip", endpoint)),
      );
    }
  }
  const named = new Set(changes.map(({ region, name }) => `${region}/${name}`));
  const left = there.filter(({ region, id }) => !named.has(`${region}/${id}`));
  return [...changes, ...left.map((endpoint) => change("leave", endpoint))];
}

function change(action, endpoint) {
  const trigger = Object.keys(endpoint).find((key) => key.endsWith("Trigger"));
  return {
    action,
    name: endpoint.id,
    region: endpoint.region,
    codebase: endpoint.codebase ?? "default",
    serviceAccount: endpoint.serviceAccount ?? null,
    invoker: endpoint[trigger]?.invoker ?? null,
    trigger: trigger ?? null,
    database: endpoint.eventTrigger?.eventFilters?.database ?? null,
    secrets: (endpoint.secretEnvironmentVariables ?? []).map(({ secret }) => secret),
  };
}

/** firebase-tools' own deploy of rules and indexes; what it writes is in `writes`. */
async function firestore() {
  const { prepare, deploy, release } = lib("deploy/firestore/index");
  const context = { projectId: project };
  await prepare(context, options);
  await deploy(context, options);
  await release(context, options);
  return lib("firestore/fsConfig")
    .getFirestoreConfig(project, options)
    .map(({ database }) => database);
}

function freePort() {
  return new Promise((found) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}

/** Takes the place of every call to Google: reads are answered from `has`, writes are kept. */
function answerForGoogle() {
  const { Client } = lib("apiv2");
  Client.prototype.request = async function (request) {
    const { method, path: resource, body } = request;
    const url = `${this.opts.urlPrefix}/${this.opts.apiVersion ?? ""}${resource}`;
    if (method === "GET") return { status: 200, body: read(url), response: { headers: {} } };
    if (url.endsWith(":test")) return { status: 200, body: {} }; // the rules are compiled, nothing is written
    writes.push({ method, url, body: body ?? null });
    return { status: 200, body: { name: `${resource.slice(1)}/made`, done: true } };
  };
}

function read(url) {
  const database = /\/databases\/([^/]+)/.exec(url)?.[1];
  if (url.includes("/services/")) return { state: "ENABLED" };
  const secret = /\/secrets\/([^/]+)/.exec(url)?.[1];
  if (secret) {
    const name = `projects/${project}/secrets/${secret}`;
    return url.includes("/versions/") ? { name: `${name}/versions/1`, state: "ENABLED" } : { name };
  }
  if (url.includes("/releases")) return { releases: has.releases };
  if (/\/rulesets\/[^/:]+$/.test(url)) return { source: { files: [] } };
  if (url.includes("/collectionGroups/-/indexes")) return { indexes: has.indexes[database] ?? [] };
  if (url.includes("/collectionGroups/-/fields")) return { fields: has.fields[database] ?? [] };
  if (database)
    return { name: `projects/${project}/databases/${database}`, locationId: "europe-west1" };
  throw new Error(`firebase-tools asked for ${url}, which is not foreseen here`);
}
