package perenne.pnp.api;

import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.ext.ExceptionMapper;
import jakarta.ws.rs.ext.Provider;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;
import perenne.pnp.model.InvalidInput;
import perenne.pnp.store.DatabaseUnavailable;
import perenne.pnp.store.People.StaleVersion;

/** Every failure of the API as problem details. */
@Provider
public class ProblemMapper implements ExceptionMapper<Throwable> {

    private static final Logger LOG = Logger.getLogger(ProblemMapper.class.getName());

    @Override
    public Response toResponse(Throwable failure) {
        if (failure instanceof InvalidInput invalid) {
            return Problem.response(422, "Some fields can't be kept.", invalid.violations());
        }
        if (failure instanceof StaleVersion stale) {
            return Response.fromResponse(Problem.response(412, "Somebody else made a change: %s.".formatted(stale.getMessage()), List.of()))
                    .header("ETag", Etags.of(stale.current()))
                    .build();
        }
        if (failure instanceof DatabaseUnavailable) {
            LOG.log(Level.WARNING, "the database does not answer: {0}", String.valueOf(failure.getCause()));
            return Response.fromResponse(Problem.response(503, "The database does not answer.", List.of()))
                    .header("Retry-After", 1)
                    .build();
        }
        if (failure instanceof WebApplicationException web) {
            return web.getResponse().hasEntity() ? web.getResponse() : fromStatus(web.getResponse());
        }
        LOG.log(Level.SEVERE, "unexpected failure", failure);
        return Problem.response(500, "Something went wrong; the server's log has more.", List.of());
    }

    /** What the container refused by itself: no such path, method or media type. */
    private static Response fromStatus(Response refused) {
        String detail = switch (refused.getStatus()) {
            case 404 -> "There is nothing at this address.";
            case 405 -> "This address does not take this method.";
            case 415 -> "Send application/json.";
            default -> refused.getStatusInfo().getReasonPhrase();
        };
        Response.ResponseBuilder problem = Response.fromResponse(Problem.response(refused.getStatus(), detail, List.of()));
        if (refused.getHeaderString("Allow") != null) {
            problem.header("Allow", refused.getHeaderString("Allow"));
        }
        return problem.build();
    }
}
