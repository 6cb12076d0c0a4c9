package perenne.pnp.api;

import jakarta.ws.rs.ApplicationPath;
import jakarta.ws.rs.core.Application;

/** The JSON API, below {@code /api}. */
@ApplicationPath("api")
public class ApiApplication extends Application {}
