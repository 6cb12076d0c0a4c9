package perenne.pnp.api;

import jakarta.enterprise.context.RequestScoped;
import jakarta.json.Json;
import jakarta.json.JsonObject;
import jakarta.json.JsonObjectBuilder;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.PUT;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Set;
import perenne.pnp.Node;
import perenne.pnp.web.Draft;

/** What this client's session holds, by which drills find out whether it outlives its node. */
@Path("session")
@RequestScoped
@Produces(MediaType.APPLICATION_JSON)
public class SessionResource {

    private static final String ATTRIBUTE = "probe";
    private static final int LONGEST_VALUE = 10_000;

    @Context
    private HttpServletRequest request;

    /** The last value stored, and how often one was. */
    record Probe(String value, long writes) implements Serializable {}

    /** Makes no session: a client that lost its own sees null. */
    @GET
    public Response read() {
        return Response.ok(json(request.getSession(false)).toString()).build();
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    public Response write(InputStream body) throws IOException {
        String value = Bodies.text(Bodies.object(body, Set.of("value")), "value", LONGEST_VALUE);
        HttpSession session = request.getSession();
        session.setAttribute(ATTRIBUTE, new Probe(value, probe(session).map(Probe::writes).orElse(0L) + 1));
        return Response.ok(json(session).toString()).build();
    }

    @PUT
    @Consumes(MediaType.APPLICATION_JSON)
    public Response replace(InputStream body) throws IOException {
        return write(body);
    }

    private static Optional<Probe> probe(HttpSession session) {
        return Optional.ofNullable((Probe) session.getAttribute(ATTRIBUTE));
    }

    private static JsonObject json(HttpSession session) {
        JsonObjectBuilder state = Json.createObjectBuilder().add("node", Node.NAME);
        if (session == null) {
            return state.addNull("session").addNull("value").add("writes", 0).addNull("draft").build();
        }
        state.add("session", fingerprint(session.getId()));
        probe(session).ifPresentOrElse(
                probe -> state.add("value", probe.value()).add("writes", probe.writes()),
                () -> state.addNull("value").add("writes", 0));
        Draft.of(session).ifPresentOrElse(
                draft -> state.add("draft", Json.createObjectBuilder()
                        .add("person", draft.person().toString())
                        .add("name", draft.name())
                        .add("startedAt", draft.startedAt().toString())
                        .add("step", draft.step().number())
                        .add("steps", Draft.Step.values().length)),
                () -> state.addNull("draft"));
        return state.build();
    }

    /** Tells sessions apart without giving away the id, which is a credential. */
    private static String fingerprint(String id) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(id.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest, 0, 8);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java platform has SHA-256", impossible);
        }
    }
}
