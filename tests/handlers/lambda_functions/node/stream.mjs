export const handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.write("Hello ");
  if (event.do === "fail") throw new RangeError("no stock");
  stream.write("world");
  stream.end();
});
