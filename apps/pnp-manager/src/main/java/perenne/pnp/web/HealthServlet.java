package perenne.pnp.web;

import jakarta.inject.Inject;
import jakarta.json.Json;
import jakarta.json.JsonObjectBuilder;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import perenne.pnp.Health;
import perenne.pnp.Node;

/** {@code /health} with the database, {@code /health/live} without; both answer within a little more than 1 s. */
@WebServlet("/health/*")
public class HealthServlet extends HttpServlet {

    private static final long serialVersionUID = 1;

    @Inject
    private transient Health health;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        JsonObjectBuilder answer = Json.createObjectBuilder();
        if ("/live".equals(request.getPathInfo())) {
            send(response, 200, answer.add("status", "UP").add("node", Node.NAME));
        } else if (request.getPathInfo() == null) {
            Health.Status status = health.check();
            String word = status.up() ? "UP" : "DOWN";
            answer.add("status", word).add("node", Node.NAME).add("database", word);
            if (status.up()) {
                answer.add("primary", status.server());
            } else {
                answer.add("problem", status.problem());
            }
            send(response, status.up() ? 200 : 503, answer);
        } else {
            response.sendError(HttpServletResponse.SC_NOT_FOUND);
        }
    }

    private static void send(HttpServletResponse response, int status, JsonObjectBuilder answer) throws IOException {
        response.setStatus(status);
        response.setContentType("application/json");
        response.getOutputStream().write(answer.build().toString().getBytes(StandardCharsets.UTF_8));
    }
}
