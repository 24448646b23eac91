export const handler = async (event, context) => {
  console.log("asked", context.functionName);
  if (event.do === "fail") throw new RangeError("no stock");
  if (event.do === "refused") throw new Error("connect ECONNREFUSED 127.0.0.1:1");
  if (event.do === "exit") process.exit(0);
  return { total: event.total };
};
export const old = (event, context, callback) => callback(null, 1);
