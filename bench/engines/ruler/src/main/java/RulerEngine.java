import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;
import software.amazon.event.ruler.MachineComplexityEvaluator;

/** AWS event-ruler, asked in JSON lines: the requests are told in bench/engines/README.md. */
public class RulerEngine {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static List<String> events = new ArrayList<>();
    private static Machine machine = new Machine();
    private static int rules = 0;

    public static void main(String[] arguments) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(answer(JSON.readTree(line)));
        }
    }

    private static ObjectNode answer(JsonNode request) throws IOException {
        String asked = request.fieldNames().next();
        JsonNode given = request.get(asked);
        switch (asked) {
            case "about": return about();
            case "load": return load(given.asText());
            case "rules": return rules(given);
            case "pass": return pass();
            case "judge": return judge(given);
            case "complexity": return complexity(given);
            default: throw new IllegalArgumentException(asked);
        }
    }

    private static ObjectNode about() {
        String jar = Machine.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        return JSON.createObjectNode()
            .put("version", jar.replaceAll(".*event-ruler-|\\.jar$", ""))
            .put("java", System.getProperty("java.version"));
    }

    private static ObjectNode load(String file) throws IOException {
        events = Files.readAllLines(Path.of(file), StandardCharsets.UTF_8);
        return JSON.createObjectNode().put("events", events.size());
    }

    private static ObjectNode rules(JsonNode patterns) throws IOException {
        machine = new Machine();
        rules = patterns.size();
        for (int rule = 0; rule < rules; rule++) {
            String wrong = JsonRuleCompiler.check(patterns.get(rule).asText());
            if (wrong != null) {
                return JSON.createObjectNode().put("refused", wrong);
            }
            machine.addRule(String.valueOf(rule), patterns.get(rule).asText());
        }
        return JSON.createObjectNode();
    }

    private static ObjectNode pass() {
        long[] hits = new long[rules];
        long begun = System.nanoTime();
        for (String event : events) {
            try {
                for (String rule : machine.rulesForJSONEvent(event)) {
                    hits[Integer.parseInt(rule)]++;
                }
            } catch (Exception error) {
                throw new IllegalStateException(event, error);
            }
        }
        double seconds = (System.nanoTime() - begun) / 1e9;
        return JSON.createObjectNode().put("seconds", seconds).set("hits", JSON.valueToTree(hits));
    }

    /** For each pattern and event, by itself: true, false, or in words why the engine refuses it. */
    private static ObjectNode judge(JsonNode cases) {
        ArrayNode verdicts = JSON.createArrayNode();
        for (JsonNode one : cases) {
            verdict(one.get(0).asText(), one.get(1).asText(), verdicts);
        }
        return JSON.createObjectNode().set("verdicts", verdicts);
    }

    private static void verdict(String pattern, String event, ArrayNode verdicts) {
        try {
            String wrong = JsonRuleCompiler.check(pattern);
            if (wrong != null) {
                verdicts.add("refused: " + wrong);
                return;
            }
            Machine alone = new Machine();
            alone.addRule("rule", pattern);
            verdicts.add(!alone.rulesForJSONEvent(event).isEmpty());
        } catch (Exception | StackOverflowError error) {
            verdicts.add("failed: " + error);
        }
    }

    /** The complexity of each pattern, up to a limit; -1 of what is no pattern. */
    private static ObjectNode complexity(JsonNode given) {
        ArrayNode complexities = JSON.createArrayNode();
        MachineComplexityEvaluator evaluator = new MachineComplexityEvaluator(given.get("limit").asInt());
        for (JsonNode pattern : given.get("patterns")) {
            try {
                Machine alone = new Machine();
                alone.addRule("rule", pattern.asText());
                complexities.add(alone.evaluateComplexity(evaluator));
            } catch (Exception error) {
                complexities.add(-1);
            }
        }
        return JSON.createObjectNode().set("complexities", complexities);
    }
}
