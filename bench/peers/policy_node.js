// node-casbin on the same questions: a JSON question on stdin, one JSON line out. NODE_PATH says where `casbin` is.
const { newEnforcer, newModel, StringAdapter } = require("casbin");

const microseconds = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

(async () => {
  const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
  let began = microseconds();
  const enforcer = await newEnforcer(newModel(asked.model), new StringAdapter(asked.policy));
  const found = { load_s: (microseconds() - began) / 1e6 };
  for (const kind of ["allow", "deny"]) {
    let count = 0;
    const until = Date.now() + asked.seconds * 1000;
    began = microseconds();
    do {
      const allowed = await enforcer.enforce(...asked[kind][count % asked[kind].length]);
      if (allowed !== (kind === "allow")) throw new Error("node-casbin decides otherwise");
      count += 1;
    } while (Date.now() < until);
    found[`${kind}_us`] = (microseconds() - began) / count;
  }
  console.log(JSON.stringify(found));
})();
