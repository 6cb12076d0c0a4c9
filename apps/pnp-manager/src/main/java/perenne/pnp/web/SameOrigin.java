package perenne.pnp.web;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.annotation.WebFilter;
import jakarta.servlet.http.HttpFilter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.URI;

/**
 * Lets a form pass only if it comes from a page of this site, as the browser says (Fetch Metadata, which the OWASP cheat sheet on
 * cross-site request forgery has beside tokens). A token would begin a session, on every node, for everybody who looks at a page.
 *
 * <p>The API needs nothing: it takes application/json only, which another site's page can't send without being asked first (CORS).
 */
@WebFilter(urlPatterns = {"/people/*", "/draft/*"})
public class SameOrigin extends HttpFilter {

    private static final long serialVersionUID = 1;

    @Override
    protected void doFilter(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        if (request.getMethod().equals("POST") && !isOwn(
                request.getHeader("Sec-Fetch-Site"), request.getHeader("Origin"), request.getServerName())) {
            response.sendError(HttpServletResponse.SC_FORBIDDEN);
            return;
        }
        chain.doFilter(request, response);
    }

    /**
     * Whether a request comes from the site itself, or from no page at all.
     *
     * @param fetchSite the header Sec-Fetch-Site; null from browsers before 2023, and from other programs
     * @param origin the header Origin, which older browsers send; null from other programs, which nobody can trick into a request
     * @param host the site's name or address in the request
     */
    static boolean isOwn(String fetchSite, String origin, String host) {
        if (fetchSite != null) {
            return fetchSite.equals("same-origin") || fetchSite.equals("none");
        }
        return origin == null || host.equalsIgnoreCase(hostOf(origin));
    }

    private static String hostOf(String origin) {
        try {
            return URI.create(origin).getHost();
        } catch (IllegalArgumentException malformed) {
            return null;
        }
    }
}
